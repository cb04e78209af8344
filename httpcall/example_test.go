package httpcall_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/httpcall"
)

// A backend's UploadPart puts the part under its number, and keeps the ETag.
func ExampleClient_Do() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"1"`) }))
	defer server.Close()
	client, err := httpcall.New(nil, sluice.Retry{})
	if err != nil {
		fmt.Println(err)
		return
	}
	uploadPart := func(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
		receipt := sluice.Receipt{Number: p.Number, Size: p.Size}
		err := client.Do(ctx, p, func(ctx context.Context) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/%d", server.URL, p.Number), nil)
		}, func(resp *http.Response) error {
			receipt.ETag = resp.Header.Get("ETag")
			return nil
		})
		return receipt, err
	}
	fmt.Println(uploadPart(context.Background(), sluice.NewPart(1, []byte("content"), nil)))
	// Output: {1 7 [] "1"} <nil>
}
