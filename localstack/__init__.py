"""The local cloud: starts it, deploys infra/template.yaml, and proves that what runs is what the template says."""
