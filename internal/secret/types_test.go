package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/secret"
	"github.com/c1508ce4/sluice/s3backend"
)

const module = "github.com/c1508ce4/sluice"

// canary is a customer's key, and part of every other secret.
const canary = "CANARY-SECRET-KEY-OF-32-BYTES-!!"

// holders are values of all exported types that hold a secret.
func holders(t *testing.T) map[string]any {
	b2Key, err := b2backend.EncryptCustomer([]byte(canary))
	require.NoError(t, err)
	s3Key, err := s3backend.EncryptCustomer([]byte(canary))
	require.NoError(t, err)
	server := b2test.NewServer(nil)
	t.Cleanup(server.Close)
	plain, err := b2backend.New(t.Context(), b2backend.NewCredentials(server.KeyID(), server.Key()), server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()})
	require.NoError(t, err)
	b2 := plain.With(b2backend.FileOptions{Encryption: b2Key})
	large, err := b2.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
	require.NoError(t, err)
	options := s3backend.Options{
		Endpoint: "https://store.test", Region: "r",
		Credentials: s3backend.NewCredentials(credentials.NewStaticCredentialsProvider("id", canary, "CANARY-SESSION")),
	}
	s3, err := s3backend.New(t.Context(), "bucket", &options)
	require.NoError(t, err)
	tokens := blendvisionbackend.NewCredentials("CANARY-TOKEN", "CANARY-ORGANIZATION")
	bv, err := blendvisionbackend.New(tokens, &blendvisionbackend.Options{Endpoint: "https://api.test"})
	require.NoError(t, err)
	return map[string]any{
		"b2backend.Credentials":          b2backend.NewCredentials("id", canary),
		"b2backend.Encryption":           b2Key,
		"b2backend.FileOptions":          b2backend.FileOptions{Encryption: b2Key},
		"b2backend.CopySource":           b2backend.CopySource{FileID: "x", Encryption: b2Key},
		"b2backend.Backend":              *b2,
		"b2backend.LargeFile":            large,
		"s3backend.Credentials":          options.Credentials,
		"s3backend.Options":              options,
		"s3backend.Encryption":           s3Key,
		"s3backend.FileOptions":          s3backend.FileOptions{Encryption: s3Key},
		"s3backend.Backend":              *s3.With(s3backend.FileOptions{Encryption: s3Key}),
		"blendvisionbackend.Credentials": tokens,
		"blendvisionbackend.Backend":     *bv,
	}
}

func TestSecrets_AreShownByNothing(t *testing.T) {
	values := holders(t)
	values["secret.Value"] = secret.New(canary)
	for name, v := range values {
		text := hostile.Printed(v)
		for _, form := range []string{
			"CANARY", canary, base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary[:8])), "67 65 78 65", "67,65,78,65",
		} {
			before, _, found := strings.Cut(strings.ToUpper(text), strings.ToUpper(form))
			require.False(t, found, "%s: after %q", name, before[max(0, len(before)-100):])
		}
	}
}

// plain is what a field is called that holds a secret as it is.
var plain = regexp.MustCompile(`(?i)(key|secret|token|password|passphrase|credentials?)$`)

func TestSecrets_AreValuesInEveryExportedType(t *testing.T) {
	var found []string
	for _, p := range exported(t) {
		for _, name := range p.Scope().Names() {
			object, ok := p.Scope().Lookup(name).(*types.TypeName)
			if !ok || !object.Exported() {
				continue
			}
			name = p.Name() + "." + name
			if holds(object.Type(), map[types.Type]bool{}) {
				found = append(found, name)
			}
			fields, ok := object.Type().Underlying().(*types.Struct)
			for i := 0; ok && i < fields.NumFields(); i++ {
				f := fields.Field(i)
				_, basic := f.Type().Underlying().(*types.Basic)
				_, slice := f.Type().Underlying().(*types.Slice)
				require.False(t, (basic || slice) && plain.MatchString(f.Name()), "%s.%s is %v, which prints", name, f.Name(), f.Type())
			}
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(holders(t))), found, "the types that can reach a secret, and those whose values are printed")
}

// holds reports whether a type can reach a secret through its fields. An
// interface hides what it holds.
func holds(typ types.Type, seen map[types.Type]bool) bool {
	if seen[typ] {
		return false
	}
	seen[typ] = true
	switch typ := typ.(type) {
	case *types.Named:
		if o := typ.Obj(); o.Pkg() != nil && o.Pkg().Path() == module+"/internal/secret" {
			return true
		}
		return holds(typ.Underlying(), seen)
	case *types.Struct:
		for field := range typ.Fields() {
			if holds(field.Type(), seen) {
				return true
			}
		}
	case interface{ Elem() types.Type }: // pointers, slices, arrays, maps, channels
		return holds(typ.Elem(), seen)
	}
	return false
}

// exported returns the packages that programs can import, but for the servers
// for tests: their keys are made to be shown.
func exported(t *testing.T) []*types.Package {
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Export,Name,Module", "./...")
	list.Dir = "../.."
	out, err := list.Output()
	require.NoError(t, err)
	files := map[string]string{}
	var paths []string
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Export, Name string
			Module                   *struct{ Path string }
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			require.NoError(t, err)
		}
		files[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Path == module && p.Export != "" && p.Name != "main" && !strings.Contains(p.ImportPath, "/internal/") &&
			!strings.HasSuffix(p.ImportPath, "b2test") && !strings.HasSuffix(p.ImportPath, "bvtest") {
			paths = append(paths, p.ImportPath)
		}
	}
	require.Contains(t, paths, module+"/s3backend")
	load := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(files[path])
	})
	var packages []*types.Package
	for _, path := range paths {
		p, err := load.Import(path)
		require.NoError(t, err)
		packages = append(packages, p)
	}
	return packages
}

func TestValue_Reveals(t *testing.T) {
	v := secret.New("x")
	require.True(t, v.Given())
	require.Equal(t, "x", v.Reveal())
	var none secret.Value[string]
	require.False(t, none.Given())
	require.Empty(t, none.Reveal())
	require.Equal(t, secret.Redacted, fmt.Sprintf("%x", v))
	require.Equal(t, secret.Redacted, fmt.Sprint(none))
}
