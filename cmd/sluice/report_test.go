package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/s3backend"
)

func TestTheObjectOfAnUpload(t *testing.T) {
	tr := newTrial(t)
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitDone, tr.run(args("--sha1", "mem://x")...))
	o := tr.object()
	require.Equal(t, []string{
		"destination", "exit", "id", "max_stream_size", "memory_limit", "name", "parts", "resent_bytes", "restarts", "retries", "reused_bytes", "seconds",
		"sha1", "sha256", "size", "source_bytes", "stored_bytes", "wait_memory_seconds", "wait_network_seconds",
		"wait_source_seconds",
	}, slices.Sorted(maps.Keys(o)))
	require.Equal(t, "mem://x", o["destination"])
	require.Equal(t, "mem-1", o["id"])
	require.EqualValues(t, 0, o["exit"])
	require.EqualValues(t, 3, o["parts"])
	require.EqualValues(t, 3_000_000, o["stored_bytes"])
	require.EqualValues(t, 8<<20, o["memory_limit"])
	require.Positive(t, o["seconds"])
	require.Positive(t, o["max_stream_size"])
}

func TestTheObjectOfAFailureHasAnErrorAndNoFile(t *testing.T) {
	tr := newTrial(t, faults.Fail(nil, faults.OnPart(2)))
	tr.stdin(noise(3_000_000))
	require.Equal(t, exitFailed, tr.run(args("--sha256", "mem://x")...))
	o := tr.object()
	require.Contains(t, o["error"], "injected failure")
	require.EqualValues(t, exitFailed, o["exit"])
	require.Equal(t, "x", o["name"])
	require.Equal(t, "", o["id"])
	require.EqualValues(t, 0, o["size"])
	require.EqualValues(t, 0, o["parts"])
	for _, key := range []string{"sha256", "sha1", "large_file"} {
		require.NotContains(t, o, key)
	}
}

func TestErrorsSpeakOfFlags(t *testing.T) {
	tr := newTrial(t)
	require.Equal(t, exitUsage, tr.run("--size", "2TB", "mem://x"))
	require.Contains(t, tr.stderr(), "--size 2 TB")
	require.Contains(t, tr.stderr(), "set --memory to at least 424 MiB for 2 TB, or --buffer-dir ")
	require.NotContains(t, tr.stderr(), "MemoryLimit")
}

func TestAFailureThatLeavesALargeFileSaysWhatCanBeDone(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	require.NoError(t, s.Inject(b2test.Fault{Call: "b2_upload_part", Part: 2, Status: 400}))
	s.ExpectUnfinished("it's")
	tr.stdin(noise(2_400_000))
	require.Equal(t, exitFailed, tr.run("--json", "--keep-on-error", "--part-size", "1MiB", "b2://test-bucket/it's"))
	id := tr.object()["large_file"].(string)
	require.Contains(t, tr.stderr(), `sluice: to resume it, with the same stream and flags: sluice put --resume-id `+id+` 'b2://test-bucket/it'\''s'; `+
		`to remove it: sluice cancel 'b2://test-bucket/it'\''s' `+id+"\n")
	j := newJob(&config{session: &session{sys: tr.sys, dest: "b2://b/x", url: "b2://b/x"}})
	require.Equal(t, "to see what became of it: sluice stat b2://b/x; sluice unfinished b2://b/x", j.next(result{code: exitUnknown, large: id}))
	require.Empty(t, j.next(result{code: exitFailed}), "nothing is left")
}

// Errors of the packages name their options; the program's are its flags and the environment.
func TestDescribe_NamesFlagsInPlaceOfOptions(t *testing.T) {
	for text, want := range map[string]string{
		"the bucket is in region eu-1: set Options.Region":                                          "the bucket is in region eu-1: set --region",
		"no region: set Options.Region, AWS_REGION, or region in the AWS profile":                   "no region: set --region, AWS_REGION, or region in the AWS profile",
		"served by https://x.test: set Options.Endpoint":                                            "served by https://x.test: set --endpoint",
		"blendvisionbackend: Options.Endpoint: no host":                                             "blendvisionbackend: BV_ENDPOINT: no host",
		"wants the bucket in the path, set Options.PathStyle":                                       "wants the bucket in the path, set --path-style",
		"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or Options.Credentials (": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (",
		"the store may not implement FileOptions.Encryption, FileOptions.CreateOnly":                "the store may not implement --sse, --create-only",
		"nothing was sent (FileOptions.Unverified lists what to take for granted)":                  "nothing was sent (--trust-option lists what to take for granted)",
		"set Options.OpaqueETags":                                                                   "set --opaque-etags",
	} {
		require.Equal(t, want, describe(result{err: errors.New(text)}))
	}
}

func TestFlagNames_HaveEveryOptionThatAnErrorNames(t *testing.T) {
	unreachable := []string{ // texts about options that the program does not set, or has checked
		"negative Options.%s", "negative ReadOptions.%s", "a Pool has its own memory limit", "lacks a name or a constructor",
		"Options.MaxSize", "Options.RestartOnMismatch needs Resume", "ReadOptions.Version is of",
	}
	option := regexp.MustCompile(`Options\.\w`)
	var found int
	for _, folder := range []string{"", "s3backend", "b2backend", "blendvisionbackend", "filebackend"} {
		files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				text, ok := n.(*ast.BasicLit)
				if !ok || !option.MatchString(text.Value) ||
					slices.ContainsFunc(unreachable, func(s string) bool { return strings.Contains(text.Value, s) }) {
					return true
				}
				found++
				require.NotRegexp(t, option, flagNames.Replace(text.Value), "%s has an option that flagNames lacks", file)
				return true
			})
		}
	}
	require.Greater(t, found, 20)
	// These names are put together where they are used.
	fields := reflect.TypeFor[s3backend.FileOptions]()
	for field := range fields.Fields() {
		name := "FileOptions." + field.Name
		if name != "FileOptions.OmitSluiceID" { // it is no flag, and no error names it
			require.Regexp(t, "^--[a-z-]+$", flagNames.Replace(name), name)
		}
	}
}

func TestS3_ErrorsOfTheArgumentsNameFlags(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	tr := realTrial(t)
	require.Equal(t, exitUsage, tr.run("unfinished", "s3://backups/"))
	require.Contains(t, tr.stderr(), "no region: set --region, AWS_REGION, or region in the AWS profile")
}
