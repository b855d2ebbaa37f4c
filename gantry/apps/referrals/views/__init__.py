"""The pages of a referral: referring, following, deciding, uploading."""
