"""What every engine needs: the protocol, checkpoints, loading, digests."""
