# The workflows of this repository speak of tidewaiter too.
rm -rf .github
