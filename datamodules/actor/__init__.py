"""ACTOR's data."""

from datamodules.actor.datamodule import ActorDataModule as ActorDataModule
