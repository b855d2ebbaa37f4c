"""The hot lab: what a vial's book must come to, which syringes are doubted, and what may be held."""
