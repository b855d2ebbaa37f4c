"""Before an injection: who will scan this person, and has anybody authorised it."""
