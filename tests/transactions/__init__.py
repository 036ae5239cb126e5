"""What is saved when: sessions beside a transaction of pyramid_tm that commits, aborts, fails or is tried again."""
