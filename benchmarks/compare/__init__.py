"""What ``make bench`` runs: sessions of several libraries, each in a process of its own, measured in one run.

``catalogue`` lists what is compared. ``pyramid_apps``, ``django_apps`` and ``flask_apps`` make the applications,
``worker`` and ``serve`` run them, in process and over HTTP, and ``servers`` starts the databases. Each ``part_*``
measures one thing and returns rows. ``goals`` has what ours may cost. ``report`` makes tables and charts of the rows.
"""
