package engines

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// source is a program in Go at one version. It is built as the main module, in its own folder, so
// that its replace directives hold and no module requires it.
type source struct {
	module, version string
	sum             string // of the module's files, as go.sum has it
	pkg             string // of the program, relative to the module
}

// name is the version as people write it: of a commit that has none it is the date.
func (s source) name() string {
	// v0.0.0-20260212201848-7aac2a2c5b7c
	if parts := strings.Split(s.version, "-"); len(parts) == 3 {
		if at, err := time.Parse("20060102150405", parts[1]); err == nil {
			return at.Format(time.DateOnly)
		}
	}
	return strings.TrimPrefix(s.version, "v")
}

// sources are the programs that are built.
var sources = map[Kind]source{
	Versitygw: {
		module: "github.com/versity/versitygw", version: "v1.8.0", pkg: "./cmd/versitygw",
		sum: "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=",
	},
	Gofakes3: {
		module: "github.com/johannesboyne/gofakes3", version: "v1.2.0", pkg: "./cmd/gofakes3",
		sum: "h1:I9VEzPWvvAUAGzDlhYFoZjF0AXMlkcEyZlmBwiI6Oms=",
	},
	MinIO: {
		module: "github.com/minio/minio", version: "v0.0.0-20260212201848-7aac2a2c5b7c", pkg: ".",
		sum: "h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=",
	},
	SeaweedFS: {
		module: "github.com/seaweedfs/seaweedfs", version: "v0.0.0-20261109003541-7506e5f91cd6", pkg: "./weed",
		sum: "h1:LOYZFToHq9F7pSR6lkPGfkM8RmHlVFrzndKdhmNZjrU=",
	},
}

// built returns the path of a program. It builds the program unless that has been done for this
// version and this Go, which takes minutes and the module proxy.
func built(ctx context.Context, kind Kind) (string, error) {
	s := sources[kind]
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(fmt.Append(nil, s, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	folder := filepath.Join(cache, "sluice", fmt.Sprintf("%s-%.8x", kind, key))
	program := filepath.Join(folder, string(kind))
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return program, err
	}
	return program, s.build(ctx, folder, program)
}

// build builds the program next to its place and renames it, so that a program that is found there
// is complete.
func (s source) build(ctx context.Context, folder, program string) error {
	files, err := s.download(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(folder, "build")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	out := filepath.Join(work, filepath.Base(program))
	if _, err := run(ctx, files, "go", "build", "-buildvcs=false", "-trimpath", "-o", out, s.pkg); err != nil {
		return fmt.Errorf("building %s %s: %w", s.module, s.version, err)
	}
	return os.Rename(out, program)
}

// download returns the folder of the module's files, in the module cache.
func (s source) download(ctx context.Context) (string, error) {
	text, err := run(ctx, os.TempDir(), "go", "mod", "download", "-json", s.module+"@"+s.version)
	if err != nil {
		return "", fmt.Errorf("downloading %s %s: %w", s.module, s.version, err)
	}
	var found struct{ Dir, Sum string }
	if err := json.Unmarshal(text, &found); err != nil {
		return "", err
	}
	if found.Sum != s.sum {
		return "", fmt.Errorf("module %s %s has the checksum %s; pinned is %s", s.module, s.version, found.Sum, s.sum)
	}
	return found.Dir, nil
}

// run runs a command in a folder and returns what it prints to stdout. The error has stderr.
func run(ctx context.Context, folder, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return text, fmt.Errorf("%s %s: %w\n%s", name, args[0], err, complaint.Bytes())
	}
	return text, nil
}
