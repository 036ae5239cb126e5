"""Joined mode: sessions that are a part of the transactions of their requests."""
