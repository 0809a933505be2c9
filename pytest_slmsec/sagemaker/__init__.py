"""Amazon SageMaker: the entry point of a container (`python -m pytest_slmsec.sagemaker`), and bodies of requests."""
