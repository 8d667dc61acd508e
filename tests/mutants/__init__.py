"""Mistakes that implementations really make, planted one at a time: seeds that notice none of them prove nothing."""
