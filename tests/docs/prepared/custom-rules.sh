mkdir -p policies manifests tests/policy
cp deploy/examples/payments/api.yaml manifests/
cat > policies/replicas.yaml <<'EOF'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: replicas}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  validations: [{expression: object.spec.replicas > 2}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: replicas}
spec: {policyName: replicas, validationActions: [Deny]}
EOF
cat > tidewaiter.yaml <<'EOF'
apiVersion: tidewaiter.dev/v1
kind: Policy
metadata: {name: default}
spec:
  customRules:
    - name: enough-replicas
      match: {kinds: [Deployment]}
      expression: object.spec.replicas >= 3
EOF
cat > tests/policy/bad.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  replicas: 2 # expect: enough-replicas
EOF
sed 's/2 # .*/3/' tests/policy/bad.yaml > tests/policy/good.yaml
