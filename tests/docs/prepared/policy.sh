cp deploy/examples/payments/api.yaml api.yaml
tidewaiter init --ci none --no-pre-commit >/dev/null
