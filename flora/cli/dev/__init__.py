"""`flora dev`: every save of a project runs in a guild within the blink of an eye."""
