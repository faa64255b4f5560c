"""The local cloud: starts it, deploys infra/template.yaml, and compares what runs with the template."""
