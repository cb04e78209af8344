package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

// result is an entry with what it took in every round.
type result struct {
	entry
	usage []lab.Usage
}

// race runs every entry in every round. talk gets what there is to say meanwhile.
func race(ctx context.Context, bin string, entries []entry, length int64, rounds int, talk *lab.Progress) ([]result, error) {
	var servers lab.Servers
	defer servers.Stop()
	usage, err := lab.Rounds(entries, rounds, talk, func(e entry, warming bool) (lab.Usage, error) {
		n := length
		if warming {
			n = lab.WarmUp(length, 2*samePart)
		}
		server, err := servers.At(ctx, e.server, e.link)
		if err != nil {
			return lab.Usage{}, err
		}
		if e.restore {
			return restoreOne(ctx, bin, e, server, n)
		}
		return runOne(ctx, bin, e, server, n)
	})
	if err != nil {
		return nil, err
	}
	results := make([]result, len(entries))
	for i, e := range entries {
		results[i] = result{e, usage[i]}
	}
	return results, nil
}

// runOne is one contender's upload.
func runOne(ctx context.Context, bin string, e entry, server lab.Address, length int64) (lab.Usage, error) {
	var source *exec.Cmd
	task := contender.Task{Server: server, S3: e.server != toB2, PartSize: e.partSize, Concurrency: e.concurrency, Size: length}
	if e.stdin {
		task.Size = 0
		var err error
		if source, err = lab.Command(ctx, "source", length); err != nil {
			return lab.Usage{}, err
		}
	}
	text, err := json.Marshal(task)
	if err != nil {
		return lab.Usage{}, err
	}
	program := filepath.Join(bin, e.program)
	cmd := exec.CommandContext(ctx, program, string(text))
	if e.program == "rclone" {
		cmd = rclone(ctx, program, task)
	}
	return lab.Run(cmd, source, nil)
}

// rclone gets its task as flags, and the server as a remote in its environment.
func rclone(ctx context.Context, program string, t contender.Task) *exec.Cmd {
	args := []string{"rcat", "--config", "", "--retries", "1"}
	if t.PartSize > 0 {
		n := fmt.Sprint(t.Concurrency)
		args = append(args, "--b2-chunk-size", fmt.Sprintf("%dB", t.PartSize), "--b2-upload-cutoff", fmt.Sprintf("%dB", t.PartSize),
			"--b2-upload-concurrency", n, "--transfers", n)
	}
	cmd := exec.CommandContext(ctx, program, append(args, "bench:"+t.Server.Bucket+"/rclone")...)
	cmd.Env = append(os.Environ(), "RCLONE_CONFIG_BENCH_TYPE=b2", "RCLONE_CONFIG_BENCH_ENDPOINT="+t.Server.URL,
		"RCLONE_CONFIG_BENCH_ACCOUNT="+t.Server.KeyID, "RCLONE_CONFIG_BENCH_KEY="+t.Server.Key)
	return cmd
}
