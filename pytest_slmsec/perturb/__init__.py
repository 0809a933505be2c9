"""Other texts of the same items (`--slmsec-perturb`): is a model still right on a typo, or on a defanged address?"""
