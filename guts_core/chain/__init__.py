"""Blocks of signed transactions over the forge's state: genesis, headers, execution, mempool."""
