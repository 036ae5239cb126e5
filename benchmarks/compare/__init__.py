"""What ``make bench`` runs: sessions of several libraries, each in a process of its own, measured in one run.

``catalogue`` lists what is compared. ``pyramid_apps``, ``django_apps`` and ``flask_apps`` make the applications,
``worker`` and ``http_server`` run them, ``servers`` starts the databases. Each ``part_*`` measures one thing and
returns rows. ``report`` makes tables and charts of these.
"""
