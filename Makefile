check: ; .ci/run
test: ; go test ./...
race: ; go test -race -shuffle=on -cpu 1,4 ./...
format: ; cd tools && go tool gofumpt -w ..
fuzz: ; go test -fuzz FuzzWriter -fuzztime 30s .
bench: ; go run ./bench
.PHONY: check test race format fuzz bench
