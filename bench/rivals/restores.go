package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/bench/rivals/contender"
)

// toShelf is the server that files are restored from.
const toShelf = "shelf"

// restores are the entries that read a file back: each contender over each link, to nothing and
// to a file.
func restores(only *regexp.Regexp) []entry {
	links := []lab.Link{{}}
	for _, megabytes := range []int64{5, 25, 100} {
		for _, milliseconds := range []time.Duration{1, 50, 200} {
			links = append(links, lab.Link{Bandwidth: megabytes * 1e6, Latency: milliseconds * time.Millisecond})
		}
	}
	var kept []entry
	for _, link := range links {
		for _, file := range []bool{false, true} {
			programs := []string{ours, "naive", "aws", "minio", "rclone"}
			for _, program := range programs {
				e := entry{group: restoreGroup(link, file), program: program, server: toShelf, link: link, restore: true, file: file}
				if program != ours {
					e.bound = 1.05
				}
				if program == "rclone" && !file && link.Bandwidth > 0 {
					e.bound = 0.5
				}
				if only.MatchString(e.String()) {
					kept = append(kept, e)
				}
			}
		}
	}
	return kept
}

func restoreGroup(l lab.Link, file bool) string {
	name := "restore/loopback"
	if l.Bandwidth > 0 {
		name = fmt.Sprintf("restore/%d MB/s, %v", l.Bandwidth/1e6, l.Latency)
	}
	if file {
		name += ", to a file"
	}
	return name
}

// restoreSize is as many bytes as the link carries in a second and a half.
func restoreSize(l lab.Link, length int64) int64 {
	if l.Bandwidth == 0 {
		return length
	}
	return min(length, l.Bandwidth*lanes*3/2)
}

// restoreOne is one contender's restore.
func restoreOne(ctx context.Context, bin string, e entry, server lab.Address, length int64) (lab.Usage, error) {
	task := contender.Task{Server: server, S3: true, Size: restoreSize(e.link, length), Restore: true}
	if e.file {
		folder, err := os.MkdirTemp("", "restore")
		if err != nil {
			return lab.Usage{}, err
		}
		defer os.RemoveAll(folder)
		task.Path = filepath.Join(folder, "target")
	}
	text, err := json.Marshal(task)
	if err != nil {
		return lab.Usage{}, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, e.program), string(text))
	if e.program == "rclone" {
		cmd = rcloneRestore(ctx, cmd.Path, task)
	}
	u, err := lab.Run(cmd, nil, nil)
	if err == nil && task.Path != "" {
		var info os.FileInfo
		if info, err = os.Stat(task.Path); err == nil && info.Size() != task.Size {
			err = fmt.Errorf("%v: %d bytes of %d were restored", e, info.Size(), task.Size)
		}
	}
	return u, err
}

// rcloneRestore is rclone cat to nothing, or copyto over eight connections.
func rcloneRestore(ctx context.Context, program string, t contender.Task) *exec.Cmd {
	args := []string{"-c", `exec "$0" "$@" >/dev/null`, program}
	from := fmt.Sprintf("bench:%s/%d", t.Server.Bucket, t.Size)
	if t.Path == "" {
		args = append(args, "cat", from)
	} else {
		args = append(args, "copyto", from, t.Path, "--multi-thread-streams", fmt.Sprint(lanes), "--multi-thread-cutoff", "1M")
	}
	cmd := exec.CommandContext(ctx, "sh", append(args, "--config", "", "--retries", "1")...)
	cmd.Env = append(os.Environ(), "RCLONE_CONFIG_BENCH_TYPE=s3", "RCLONE_CONFIG_BENCH_PROVIDER=Other", "RCLONE_CONFIG_BENCH_ENDPOINT="+t.Server.URL,
		"RCLONE_CONFIG_BENCH_ACCESS_KEY_ID="+t.Server.KeyID, "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY="+t.Server.Key)
	return cmd
}

// ofLink is the share of what the link carries that a result reaches, "" on loopback.
func (r result) ofLink(length int64) string {
	if !r.restore || r.link.Bandwidth == 0 {
		return ""
	}
	rate := float64(restoreSize(r.link, length)) / cmp.Or(r.of(wall).Median(), 1)
	return fmt.Sprintf("%.2f", rate/float64(lanes*r.link.Bandwidth))
}
