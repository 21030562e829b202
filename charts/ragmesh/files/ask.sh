# Uploads a document, waits, asks, checks the citation, deletes it, and proves it gone.
key=/etc/ragmesh/secrets/admin.key
if [ ! -r "$key" ]; then
  echo "no admin.key: put it into the Secret that test.existingSecret names (by default identity.existingSecret)" >&2
  exit 1
fi
[ ! -r /etc/ragmesh/secrets/ca.crt ] || export RAGMESH_CA_FILE=/etc/ragmesh/secrets/ca.crt
admin=$(cat "$key")
tenant="helm-test-$(date +%s)"
as_admin() { RAGMESH_API_KEY="$admin" ragmesh "$@"; }

as_admin tenants create "$tenant"
trap 'as_admin tenants delete "$tenant" --yes' EXIT
RAGMESH_API_KEY=$(as_admin keys create --tenant "$tenant" --subject helm-test --scope read --scope write --scope admin)
export RAGMESH_API_KEY
# A key is known to every gateway within seconds, not at once.
tries=0
until ragmesh collections create probe; do
  tries=$((tries + 1)); [ "$tries" -lt 10 ] || exit 1; sleep 1
done

echo "The lighthouse keeper of Norderoog is called Ineke Brandt." > /tmp/keeper.txt
ragmesh documents add /tmp/keeper.txt -c probe
answer=$(ragmesh ask "Who is the lighthouse keeper of Norderoog?" -c probe --json)
echo "$answer"
case "$answer" in *'"keeper.txt"'*) ;; *) echo "the answer does not cite the document" >&2; exit 1 ;; esac
case "$answer" in *"Ineke Brandt"*) ;; *) echo "the answer does not quote it" >&2; exit 1 ;; esac

ragmesh documents delete keeper.txt -c probe
answer=$(ragmesh ask "Who is the lighthouse keeper of Norderoog?" -c probe --json)
case "$answer" in *"Ineke Brandt"*) echo "the deleted document still answers" >&2; exit 1 ;; esac
if ragmesh documents get keeper.txt -c probe; then
  echo "the deleted document is still shown" >&2; exit 1
fi
echo "passed: uploaded, cited, deleted, gone"
