"""Builds the packaged body (needs the extra `body-builder`); nothing here runs when a body is loaded."""

from components.body.builder.build import build_body as build_body
