"""What goes where: the rules, and the mapping file a person can edit."""
