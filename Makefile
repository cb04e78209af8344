# Everything in one line each; `make check` is what the gate runs.
# A report of tests that fail fails too.
SHELL = bash
.SHELLFLAGS = -o pipefail -c
tool := go tool -modfile=tools/go.mod
TIME = 30s

check: ; .ci/run
test: ; go test ./...
race: ; go test -race -shuffle=on -cpu 1,4 ./...
lint: ; .ci/lint
lint-more: ; golangci-lint run ./... # installed by you; its version is in .github/workflows/check.yml
vuln: ; $(tool) govulncheck ./... || { echo "NOT CHECKED, or vulnerable: see above"; exit 1; }
format: ; $(tool) gofumpt -w $$(git ls-files '*.go') && go fix ./...
fuzz: ; .ci/fuzz $(TIME) # every target there is, each for a while: make fuzz TIME=5m
bench: ; go run ./bench
cover: ; go test -json -coverpkg=./... -coverprofile=cover.out ./... | go run ./internal/testreport -cover cover.out
engines: ; SLUICE_TEST_ENGINES=all SLUICE_TEST_TOOLS=required go test -count=1 -timeout 30m -v ./internal/engines
nightly: engines ; SLUICE_TEST_SUITES=all go test -count=1 -timeout 30m -v -run TestSuites ./internal/engines # the tests of rclone and blazer
slow: ; go test -json -count=1 ./... | go run ./internal/testreport
docs: ; go test ./internal/docs
release: ; .ci/release # programs, packages, checksums, what they are made of, and notes, into dist/
.PHONY: check test race lint lint-more vuln format fuzz bench cover engines nightly slow docs release
