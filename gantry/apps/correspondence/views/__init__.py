"""Word to patients: a list with what is whose, and each message with its words and its way."""
