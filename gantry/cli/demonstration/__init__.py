"""The demonstration: a network that is made once, and past weeks that are lived through the services."""
