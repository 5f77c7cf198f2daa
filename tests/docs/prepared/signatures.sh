cat > cluster-image-policy.yaml <<'EOF'
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: shop}
spec:
  images: [{glob: "ghcr.io/shop/**"}]
  authorities: [{static: {action: pass}}]
EOF
