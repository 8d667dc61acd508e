"""What stands in a repository, read object by object within a budget: trees, histories, changes, archives, blame."""
