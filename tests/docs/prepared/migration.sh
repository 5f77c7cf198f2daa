printf 'checks:\n  exclude: [no-read-only-root-fs]\n' > .kube-linter.yaml
