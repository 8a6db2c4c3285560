"""Programs that people run, and the modules of the course *Deep Learning Systems* that its assignments import."""
