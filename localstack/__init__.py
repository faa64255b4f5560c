"""The local cloud: starts it, deploys infra/template.yaml to it, and proves that what runs is what the template says."""
