"""A project's own image: its recipe, built where it can do no harm, checked, and offered to that project alone."""
