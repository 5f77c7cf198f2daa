cp -r deploy/examples/payments deploy/payments
