"""What ``make bench`` measures. Bars live here: a missed one is named and the command exits 1."""
