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
slow: ; go test -json -count=1 ./... | go run ./internal/testreport
docs: ; go test ./internal/docs
.PHONY: check test race lint lint-more vuln format fuzz bench cover slow docs
