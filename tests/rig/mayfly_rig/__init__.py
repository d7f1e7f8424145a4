"""moto, mended where it differs from AWS in what Mayfly relies on, with faults on demand. See README.md beside this package."""
