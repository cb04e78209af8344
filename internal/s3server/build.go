package s3server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	module  = "github.com/c1508ce4/sluice"
	command = "github.com/versity/versitygw/cmd/versitygw"
)

// built returns the path of the server's program, and builds it if that has not been done for this version and
// this Go yet, which takes minutes and the module proxy. It is called inside this module.
func built(ctx context.Context) (string, error) {
	pin, err := pinned(ctx)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("s3server: %w", err)
	}
	key := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(pin, name))
		if err != nil {
			return "", fmt.Errorf("s3server: %w", err)
		}
		key.Write(text)
	}
	fmt.Fprint(key, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	folder := filepath.Join(cache, "sluice", fmt.Sprintf("versitygw-%.16x", key.Sum(nil)))
	program := filepath.Join(folder, "versitygw")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); err == nil {
		return program, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("s3server: %w", err)
	}
	return program, build(ctx, pin, folder, program)
}

// build builds beside the place and moves the program there, so that who finds it finds all of it.
func build(ctx context.Context, pin, folder, program string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("s3server: %w", err)
	}
	work, err := os.MkdirTemp(folder, "build")
	if err != nil {
		return fmt.Errorf("s3server: %w", err)
	}
	defer os.RemoveAll(work)
	out := filepath.Join(work, filepath.Base(program))
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", out, command)
	cmd.Dir = pin
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("s3server: building %s: %w\n%s", command, err, said)
	}
	if err := os.Rename(out, program); err != nil {
		return fmt.Errorf("s3server: %w", err)
	}
	return nil
}

// pinned is the folder of the module that pins the server's version.
func pinned(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	said, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("s3server: looking for this module's folder: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(said)), "internal", "s3server", "versitygw"), nil
}
