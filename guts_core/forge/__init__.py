"""The forge's rules: accounts, credentials, repositories, collaborators, refs, and who may do what."""
