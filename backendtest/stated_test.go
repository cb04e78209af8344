package backendtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stated has for each rule the declaration of package sluice whose comment states
// it, and its words there.
var stated = map[string][2]string{
	"limits":      {"Backend.Limits", "its result is constant for the life of the Backend."},
	"together":    {"Algorithm", "than one Write after another and with the same result."},
	"check":       {"Backend.Check", "Check rejects a file that the store could not take: by its name, which must not be empty, its metadata, or its size, where the error for one above Limits.MaxFile matches [ErrTooLarge]."},
	"unsupported": {"Backend", "their methods return [errors.ErrUnsupported] where the store has none."},

	"single-empty":  {"Backend.UploadFile", "An empty file is stored too."},
	"single-byte":   {"Backend.UploadFile", "UploadFile stores exactly the bytes of p as a whole file"},
	"single-exact":  {"Backend.UploadFile", "The File has an ID, the name and the size, and no parts."},
	"single-digest": {"Backend.UploadFile", "It fails, and stores nothing, if p.Size is not spec.Size or the digests of p are not those of its bytes."},
	"single-size":   {"Backend.UploadFile", "It fails, and stores nothing, if p.Size is not spec.Size"},
	"metadata":      {"Backend.UploadFile", "with the content type and metadata of spec."},

	"large-exact":     {"LargeFile.Finish", "Finish makes the file visible, whole, from the parts 1…len(parts) in order"},
	"large-info":      {"LargeFile.Info", "Info does no I/O, and its result is constant."},
	"large-hidden":    {"LargeFile.Finish", "no part of it is visible before."},
	"large-one-part":  {"Limits.MinParts", "MinParts is the fewest parts a large file is finished with"},
	"large-empty":     {"Limits.MinParts", "Where there is none, an empty stream is a large file of one empty part."},
	"large-same-name": {"Backend.StartLargeFile", "Any number of the same name may be unfinished at once, each with an ID and parts of its own."},
	"part-order":      {"LargeFile.UploadPart", "Parts may come in any order."},
	"part-concurrent": {"LargeFile", "UploadPart may be called concurrently for different part numbers."},
	"part-again":      {"LargeFile.UploadPart", "A part sent again under the same number replaces the earlier one."},
	"receipt":         {"LargeFile.UploadPart", "What the Receipt says of number, size and digests is true of the part."},
	"receipt-tag":     {"LargeFile.Finish", "if a receipt has the ETag of another part"},

	"part-digest":   {"LargeFile.UploadPart", "It fails, and stores nothing, if the digests of p are not those of its bytes"},
	"part-number":   {"LargeFile.UploadPart", "if p.Number is below 1, above Limits.MaxParts or outside of the plan"},
	"part-small":    {"LargeFile.UploadPart", "or below Limits.MinPart for a part that is not the last, is rejected here or by Finish"},
	"part-equal":    {"LargeFile.UploadPart", "so are parts of several sizes where Limits.EqualParts is set."},
	"part-large":    {"LargeFile.UploadPart", "if p.Size is above Limits.MaxPart"},
	"part-plan":     {"LargeFile.UploadPart", "A size that is not that of the plan"},
	"finish-gap":    {"LargeFile.Finish", "if a part or its receipt is missing"},
	"finish-none":   {"LargeFile.Finish", "It fails if there are no parts"},
	"finish-few":    {"LargeFile.Finish", "or fewer than Limits.MinParts"},
	"finish-digest": {"LargeFile.Finish", "if whole are not the digests of the file."},

	"lent-single":    {"Backend", "A backend keeps nothing that it is lent (the bytes and digests of a [Part]"},
	"lent-part":      {"Backend", "A backend keeps nothing that it is lent (the bytes and digests of a [Part]"},
	"lent-finish":    {"Backend", "the receipts and digests of Finish) after the call returns"},
	"lent-unchanged": {"Backend", "and changes none of it."},

	"cancel-removes":    {"LargeFile.Cancel", "Cancel removes the large file and its parts: it is not listed any more and cannot be finished."},
	"cancel-twice":      {"LargeFile.Cancel", "A repeat changes nothing and is no error"},
	"cancel-finished":   {"LargeFile.Cancel", "and so is a call after Finish: it leaves the finished file alone."},
	"part-after-cancel": {"LargeFile.UploadPart", "and after Finish or Cancel."},
	"part-after-finish": {"LargeFile.UploadPart", "and after Finish or Cancel."},
	"cancel-detached":   {"Backend.StartLargeFile", "StartLargeFile begins a large file, which outlives ctx."},

	"ended-single": {"Backend", "A call whose context has ended before it is made does nothing at the store."},
	"ended-start":  {"Backend", "A call whose context has ended before it is made does nothing at the store."},
	"ended-part":   {"Backend", "A call whose context has ended before it is made does nothing at the store."},
	"ended-finish": {"LargeFile.Finish", "If ctx is done before the call, nothing happens."},
	"ended-cancel": {"Backend", "A call whose context has ended before it is made does nothing at the store."},
	"ended-look":   {"Backend", "Both fail with an error that matches the context's error and its cause"},
	"cut-single":   {"Backend.UploadFile", "if ctx ends before the store has all bytes, nothing is stored"},
	"cut-start":    {"Backend.StartLargeFile", "or ctx ends before the store's answer comes, no unfinished large file stays behind where the store lets it be found"},
	"cut-part":     {"LargeFile.UploadPart", "After a failure the part can be sent again."},
	"cut-finish":   {"LargeFile.Finish", "The result is the file; or an error after which the large file is certainly unfinished; or an error that matches [ErrFinishUnknown]."},

	"unfinished":       {"Backend.Unfinished", "Unfinished lists the unfinished large files whose names begin with prefix, and no others, oldest first."},
	"unfinished-break": {"Backend.Unfinished", "The sequence may be left before its end."},
	"resume-id":        {"Backend.ResumeLargeFile", "Its Info lists the stored parts, and it can be finished and cancelled like one that was started."},
	"resume-name":      {"Backend.ResumeLargeFile", "or, if id is \"\", the newest one of that name."},
	"resume-outdated":  {"Backend.ResumeLargeFile", "One that was started before the name's finished file is passed over then"},
	"resume-none":      {"Backend.ResumeLargeFile", "If there is none the error matches [io/fs.ErrNotExist]."},
	"resume-other":     {"Backend.ResumeLargeFile", "one that differs is rejected, with an error that matches [ErrResumeMismatch], or [io/fs.ErrNotExist] if it has another name."},
	"resume-cancel":    {"Backend.Unfinished", "To cancel one: ResumeLargeFile, then Cancel."},

	"source-stat":       {"Source.Stat", "Stat describes the newest version of the file of that name."},
	"source-metadata":   {"Source.Stat", "What was set at upload (content type, metadata) comes back equal where the store keeps it."},
	"source-digests":    {"StoredFile.Receipts", "The sizes add up to Size."},
	"source-none":       {"Source.Stat", "If there is no such file the error matches [io/fs.ErrNotExist]."},
	"source-range":      {"Source.ReadRange", "ReadRange fills r with bytes of exactly the version that f describes"},
	"source-beyond":     {"Source.ReadRange", "A range beyond the end of the file is an error."},
	"source-resumed":    {"Source.ReadRange", "Each attempt asks for the bytes that [Range.Attempt] returns"},
	"source-replaced":   {"Source.ReadRange", "If another version has taken the name and this one can no longer be read, the error matches [ErrReplaced]"},
	"source-list":       {"Source.List", "List yields the newest versions of the files whose names begin with prefix, and of no others, by rising name."},
	"source-list-break": {"Source.List", "The sequence may be left before its end."},
	"source-ended":      {"Source", "with an error that matches the context's error and its cause"},
	"source-cut":        {"Source.ReadRange", "r is not touched after the call has returned."},
	"remove":            {"Source", "It removes exactly the version that is described, which cannot be found or read any more"},
	"remove-replaced":   {"Source", "and leaves a newer one alone."},
	"source-key":        {"Source", "A file that was encrypted with a customer's key is read through a handle with that key, and through no other."},

	"answer-cut":       {"Source.ReadRange", "so that one that broke is resumed where it ended"},
	"answer-short":     {"Source.ReadRange", "an answer that is cut short"},
	"answer-whole":     {"Source.ReadRange", "ignores the range"},
	"answer-other":     {"Source.ReadRange", "or is about other bytes"},
	"answer-length":    {"Source.ReadRange", "declares another length or none"},
	"answer-no-length": {"Source.ReadRange", "declares another length or none"},
}

// comments returns the comments of the declarations in a file, of their fields and
// of their methods, each on one line.
func comments(t *testing.T, file string) map[string]string {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	require.NoError(t, err)
	found := map[string]string{}
	add := func(name string, group ...*ast.CommentGroup) {
		for _, g := range group {
			found[name] += strings.Join(strings.Fields(g.Text()), " ") + " "
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		declared, ok := n.(*ast.GenDecl)
		if !ok || declared.Tok != token.TYPE {
			return true
		}
		for _, spec := range declared.Specs {
			kind := spec.(*ast.TypeSpec)
			add(kind.Name.Name, declared.Doc, kind.Doc)
			var fields *ast.FieldList
			switch kind := kind.Type.(type) {
			case *ast.StructType:
				fields = kind.Fields
			case *ast.InterfaceType:
				fields = kind.Methods
			default:
				continue
			}
			for _, f := range fields.List {
				for _, name := range f.Names {
					add(kind.Name.Name+"."+name.Name, f.Doc, f.Comment)
				}
			}
		}
		return false
	})
	return found
}

// An author of a backend reads the comments, not the kit.
func TestEveryRuleIsStatedInAComment(t *testing.T) {
	found := comments(t, "../backend.go")
	known := map[string]bool{}
	for _, r := range rules() {
		known[r.name] = true
		where, ok := stated[r.name]
		require.True(t, ok, "no sentence is named for the rule %s: %s", r.name, r.text)
		if !strings.Contains(found[where[0]], where[1]) {
			t.Errorf("the comment of %s does not state the rule %s (%s): no %q", where[0], r.name, r.text, where[1])
		}
	}
	for name := range stated {
		require.True(t, known[name], "there is no rule %s", name)
	}
}
