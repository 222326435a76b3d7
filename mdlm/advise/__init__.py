"""A quick scan of someone's own data: which partition, recrossing treatment and stride to train on."""
