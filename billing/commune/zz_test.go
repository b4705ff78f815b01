package commune_test
import ("testing";"os";"time";"telecommune/billing/commune";"telecommune/internal/postgres/pgtest")
func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func TestShadowTime(t *testing.T) {
 db := pgtest.New(t)
 for range 10 {
  tx, _ := db.Beginx()
  s := time.Now()
  if err := commune.In(tx,"COM").Shadow(t.Context()); err != nil { t.Fatal(err) }
  a := time.Since(s); s = time.Now()
  tx.Rollback()
  t.Log(a, time.Since(s))
 }
}
