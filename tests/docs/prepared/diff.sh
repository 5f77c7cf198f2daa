mkdir -p charts
cp deploy/examples/payments/api.yaml charts/old.yaml
cp deploy/examples/payments-broken/api.yaml charts/new.yaml
tidewaiter init --ci none --no-pre-commit >/dev/null
git add -A && git commit -q -m policy
tidewaiter lint deploy --format json --output old-report.json || true
sed -i "s/profile: .*/profile: production/" tidewaiter.yaml
