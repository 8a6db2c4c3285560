"""The course contract, point by point: what students' code and the course's assignments rely on."""
