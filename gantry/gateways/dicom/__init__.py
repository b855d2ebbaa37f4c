"""The DICOM door: worklist, performed steps, storage in and out; translation is pure and the servers take functions."""

from pydicom import config

# What peers send is judged by our own rules and refused in their terms; a library warning would reach nobody.
config.settings.reading_validation_mode = config.IGNORE
