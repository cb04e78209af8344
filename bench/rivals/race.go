package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

// entry is one contender under one set of conditions.
type entry struct {
	group, program string
	server         string
	stdin          bool
	partSize       int64
	concurrency    int
	// bound is the most that the wall time of ours may be of this one's; 0 for none.
	bound float64
}

func (e entry) String() string { return e.group + "/" + e.program }

// ours is the program that all others in a group are compared with.
const ours = "sluice"

// Conditions that are the same for all who are given them.
const (
	samePart    = 16 << 20
	sameUploads = 4
)

// chosen are the entries whose names match, in the order in which they take turns. What stands for S3 is a sink, which
// costs little; the real server, over plain HTTP and a folder, is measured where its name is asked for.
func chosen(only *regexp.Regexp, real bool) []entry {
	same := func(group, program string, stdin bool, bound float64) entry {
		return entry{group: group, program: program, server: toB2, stdin: stdin, partSize: samePart, concurrency: sameUploads, bound: bound}
	}
	all := []entry{
		same("reader", ours, false, 0), same("reader", "naive", false, 0.90), same("reader", "blazer", false, 0.72),
		same("stdin", ours, true, 0), same("stdin", "naive", true, 0),
		same("stdin", "blazer", true, 0.60), same("stdin", "rclone", true, 0.55),
	}
	for _, program := range []string{ours, "blazer", "rclone"} {
		all = append(all, entry{group: "own defaults", program: program, server: toB2, stdin: true})
	}
	servers := []string{toSink}
	if real {
		servers = append(servers, toVersity)
	}
	for _, server := range servers {
		for _, program := range []string{ours, "minio", "aws"} {
			all = append(all, entry{group: server, program: program, server: server, partSize: samePart, concurrency: sameUploads})
		}
		for _, program := range []string{ours, "minio", "aws"} {
			all = append(all, entry{group: server + " own defaults", program: program, server: server})
		}
	}
	var kept []entry
	for _, e := range all {
		if only.MatchString(e.String()) {
			kept = append(kept, e)
		}
	}
	return kept
}

// result is an entry with what it took in every round.
type result struct {
	entry
	usage []lab.Usage
}

// race runs every entry once a round, after a shorter round that warms up and is forgotten.
func race(ctx context.Context, bin string, entries []entry, length int64, rounds int, talk io.Writer) ([]result, error) {
	servers := servers{running: make(map[string]lab.Address)}
	defer servers.stop()
	results := make([]result, len(entries))
	for round := range rounds + 1 {
		n := length
		if round == 0 {
			n = min(length, max(length/16, 2*samePart))
		}
		fmt.Fprintf(talk, "round %d of %d\n", round, rounds)
		for i, e := range entries {
			server, err := servers.at(ctx, e.server)
			if err != nil {
				return nil, err
			}
			u, err := runOne(ctx, bin, e, server, n)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", e, err)
			}
			results[i].entry = e
			if round > 0 {
				results[i].usage = append(results[i].usage, u)
			}
		}
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
