export default function Page() {
  return <p>rice</p>
}
