"""One file for each family of commands; each adds itself to the application."""
