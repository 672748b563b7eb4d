# An invented map in the manner of the Topology Zoo, with every trap of the real files in it.
Creator "by hand"
graph [
  Network "Harbour"
  directed 0
  node [
    id 0
    label "Quay"
    Latitude 50.0
    Longitude 4.0
    Internal 1
    graphics [ x 10 y 20 fill "#ff0000" ]
  ]
  node [
    id 1
    label "Dock &amp; Basin"
    Latitude 50.2
    Longitude 4.0
  ]
  node [
    id 2
    label "Quay"
    Latitude 50.0
    Longitude 4.3
  ]
  node [
    id 3
    label "None"
    hyperedge 1
  ]
  node [
    id 4
    label "Elsewhere"
    Internal 0
  ]
  node [
    id 5
    label "Nowhere"
    Latitude 0.0
    Longitude 0.0
  ]
  node [
    id 6
    label "Off the globe"
    Latitude 512.0
    Longitude 4.0
  ]
  node [
    id 7
    label "Island"
    Latitude 50.1
    Longitude 3.0
  ]
  edge [ source 0 target 1 LinkLabel "10 Gbps" ]
  edge [ source 1 target 0 LinkLabel "1 Gbps" ]
  edge [ source 0 target 0 ]
  edge [ source 0 target 3 ]
  edge [ source 1 target 3 ]
  edge [ source 2 target 3 ]
  edge [ source 1 target 4 ]
  edge [ source 5 target 6 ]
]
